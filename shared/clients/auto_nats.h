/*
 * auto_nats.h — AUTO for what libnats gives
 */
#pragma once

#include "base/auto.h"

#include <nats/nats.h>

static inline void auto_free_message(natsMsg **message)
{
    natsMsg_Destroy(*message);
    *message = NULL;
}

static inline void auto_free_inbox(natsInbox **inbox)
{
    natsInbox_Destroy(*inbox);
    *inbox = NULL;
}
