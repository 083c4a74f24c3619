#include "runtime/build_info.h"

/* The four macros come from runtime/CMakeLists.txt, for this file alone: a new commit then
 * recompiles one file. */
const char *build_version(void)
{
    return ADLEDGER_VERSION;
}

const char *build_commit(void)
{
    return ADLEDGER_COMMIT;
}

const char *build_date(void)
{
    return ADLEDGER_BUILD_DATE;
}

const char *build_type(void)
{
    return ADLEDGER_BUILD_TYPE;
}
