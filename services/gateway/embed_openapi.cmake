# Writes OUTPUT, a C file with the document of openapi_handler.h, from the YAML file INPUT.
# cmake -DOUTPUT=... -DINPUT=openapi.yaml -P embed_openapi.cmake
include(${CMAKE_CURRENT_LIST_DIR}/../../shared/bytes_of.cmake)

bytes_of(bytes "${INPUT}")
file(SHA256 "${INPUT}" digest)
string(SUBSTRING "${digest}" 0 16 version)
file(WRITE "${OUTPUT}"
    "#include \"openapi_handler.h\"\n\n"
    "const char openapi_document[] = {${bytes}};\n"
    "const size_t openapi_document_size = sizeof(openapi_document);\n"
    "const uint64_t openapi_document_version = 0x${version};\n")
