/*
 * build_info.h — which build this is, for --version, /info and adledger_build_info
 */
#pragma once

const char *build_version(void); /* "0.1.0": the CMake project's */
const char *build_commit(void);  /* "1a2b3c4d5e6f", at configure time; "unknown" outside git */
const char *build_type(void);    /* "RelWithDebInfo" */
