/*
 * changes_script.h — the Lua side of changes.h: changes.lua and claim.lua, embedded by CMake
 */
#pragma once

enum { CHANGES_SCRIPT_KEYS = 4, CHANGES_SCRIPT_HEAD = 7 };

extern const char changes_script_text[];
extern const char changes_claim_text[];
