-- Clicks over ADS ads, each request built once.
local ads = tonumber(os.getenv("BENCH_ADS") or "1")
local headers = {["Content-Type"] = "application/json"}
local requests = {}

function init()
    for i = 1, ads do
        local body = string.format('{"ad_id":"bench-%d","video_playback_time":12.5,"ip":"203.0.%d.%d"}', i, i % 200, i % 250)
        requests[i] = wrk.format("POST", "/api/v1/ads/click", headers, body)
    end
end

local next_request = 0
function request()
    next_request = next_request % ads + 1
    return requests[next_request]
end
