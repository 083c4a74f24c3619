# Writes OUTPUT, a C file with the table `migrations` (migrate.h), from the SQL files in INPUTS.
# cmake -DOUTPUT=... -DINPUTS=a.sql,b.sql -P embed_sql.cmake
include(${CMAKE_CURRENT_LIST_DIR}/../../shared/bytes_of.cmake)

string(REPLACE "," ";" files "${INPUTS}")
set(arrays "")
set(rows "")
foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME_WE)
    if(NOT name MATCHES "^0*([0-9]+)_[a-z0-9_]+$")
        message(FATAL_ERROR "${file}: the name must be NNN_what.sql")
    endif()
    set(version ${CMAKE_MATCH_1})
    bytes_of(bytes "${file}")
    string(APPEND arrays "static const char sql_${name}[] = {${bytes}0};\n")
    string(APPEND rows
        "    {${version}, \"${name}\", sql_${name}, sizeof(sql_${name}) - 1},\n")
endforeach()
file(WRITE "${OUTPUT}"
    "#include \"migrate.h\"\n\n${arrays}\n"
    "const struct migration migrations[] = {\n${rows}};\n"
    "const size_t migration_count = sizeof(migrations) / sizeof(migrations[0]);\n")
