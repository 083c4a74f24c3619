/*
 * The data of an earlier tracker, brought into adledger: judged in one pass, published in a second.
 */
#include "base/auto.h"
#include "run.h"

#include <signal.h>
#include <stdlib.h>

#include <sodium.h>

static void free_settings(struct settings *settings)
{
    endpoints_close(&settings->endpoints);
    config_free(settings_rows, settings);
}

int main(int argc, char **argv)
{
    AUTO(free_settings) struct settings settings = {0};
    struct error err = {0};

    (void)signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0)
        return RUN_FAILED;
    switch (options_load(argc, argv, &settings, &err)) {
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_WRONG:
        return run_fail(&err);
    case OPTIONS_RUN:
        break;
    }
    return settings.forget ? run_forget(&settings, &err) : run_import(&settings, &err);
}
