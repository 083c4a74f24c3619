# Writes OUTPUT, a C file with the document of openapi_handler.h, from the YAML file INPUT.
# cmake -DOUTPUT=... -DINPUT=openapi.yaml -P embed_openapi.cmake
file(READ "${INPUT}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
file(SHA256 "${INPUT}" digest)
string(SUBSTRING "${digest}" 0 16 version)
file(WRITE "${OUTPUT}"
    "#include \"openapi_handler.h\"\n\n"
    "const char openapi_document[] = {${bytes}};\n"
    "const size_t openapi_document_size = sizeof(openapi_document);\n"
    "const uint64_t openapi_document_version = 0x${version};\n")
