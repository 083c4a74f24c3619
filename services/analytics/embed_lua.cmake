# cmake -DOUTPUT=x.c -DHEADER=x.h -DINPUTS="name=a.lua,..." -P embed_lua.cmake
# Each file becomes `const char name[]`. As bytes, since a C string may not be as long as a script.
include(${CMAKE_CURRENT_LIST_DIR}/../../shared/bytes_of.cmake)

string(REPLACE "," ";" INPUTS "${INPUTS}")
set(text "#include \"${HEADER}\"\n")
foreach(input ${INPUTS})
    string(REPLACE "=" ";" pair "${input}")
    list(GET pair 0 name)
    list(GET pair 1 file)
    bytes_of(bytes "${file}")
    string(APPEND text "\nconst char ${name}[] = {${bytes}0};\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
