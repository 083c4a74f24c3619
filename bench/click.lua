-- Clicks over ADS ads by VISITORS visitors (0: one an ad), each request built once; RATE a second, 0: as fast as it goes.
local ffi = require("ffi")
local ads = tonumber(os.getenv("BENCH_ADS") or "1")
local visitors = tonumber(os.getenv("BENCH_VISITORS") or "0")
local rate = tonumber(os.getenv("BENCH_RATE") or "0")
local count = math.max(ads, visitors)
local headers = {["Content-Type"] = "application/json"}
local requests = {}

function init()
    for i = 1, count do
        local ip = visitors == 0 and string.format("203.0.%d.%d", i % 200, i % 250)
            or string.format("10.%d.%d.%d", math.floor(i / 65536), math.floor(i / 256) % 256, i % 256)
        local body = string.format('{"ad_id":"bench-%d","video_playback_time":12.5,"ip":"%s"}', (i - 1) % ads + 1, ip)
        requests[i] = wrk.format("POST", "/api/v1/ads/click", headers, body)
    end
end

local next_request = 0
function request()
    next_request = next_request % count + 1
    return requests[next_request]
end

if rate > 0 then
    ffi.cdef("typedef struct {long s, ns;} moment; int clock_gettime(int clock, moment *now);")
    local moment, due = ffi.new("moment"), nil

    -- ms until this connection sends. A schedule, so that slow answers do not slow the load; over 100 ms late is not made up for.
    function delay()
        ffi.C.clock_gettime(1, moment)
        local now = tonumber(moment.s) * 1000 + tonumber(moment.ns) / 1e6
        due = math.max((due or now) + 1000 / rate, now - 100)
        return math.max(0, math.floor(due - now))
    end
end
