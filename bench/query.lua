-- Analytics of ADS ads in turn.
local ads = tonumber(os.getenv("BENCH_ADS") or "1")
local requests = {}

function init()
    for i = 1, ads do
        requests[i] = wrk.format("GET", string.format("/api/v1/ads/analytics?ad_id=bench-%d&timeframe=1h", i))
    end
end

local next_request = 0
function request()
    next_request = next_request % ads + 1
    return requests[next_request]
end
