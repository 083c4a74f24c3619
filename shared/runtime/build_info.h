/*
 * build_info.h — which build this is, for --version, /info and adledger_build_info
 *
 * Set when CMake configures: commit and date from git, or from ADLEDGER_COMMIT and
 * SOURCE_DATE_EPOCH.
 */
#pragma once

const char *build_version(void); /* "0.1.0": the CMake project's */
const char *build_commit(void);  /* "1a2b3c4d5e6f"; "unknown" outside git */
const char *build_type(void);    /* "RelWithDebInfo" */
const char *build_date(void);    /* "2026-11-21T11:49:47Z": the commit's; or "unknown" */
