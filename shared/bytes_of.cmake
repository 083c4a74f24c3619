# For the scripts that make a C file of other files.
# bytes_of(TEXT FILE): sets TEXT to the bytes of FILE as the inside of a char array's initialiser.
function(bytes_of text file)
    file(READ "${file}" hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
    set(${text} "${bytes}" PARENT_SCOPE)
endfunction()
