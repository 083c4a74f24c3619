# cmake -DOUTPUT=x.c -DHEADER=x.h -DINPUTS="name=a.lua,..." -P embed_lua.cmake
# Each file becomes `const char name[]`. As bytes, since a C string may not be as long as a script.
string(REPLACE "," ";" INPUTS "${INPUTS}")
set(text "#include \"${HEADER}\"\n")
foreach(input ${INPUTS})
    string(REPLACE "=" ";" pair "${input}")
    list(GET pair 0 name)
    list(GET pair 1 file)
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND text "\nconst char ${name}[] = {${bytes}0x00};\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
