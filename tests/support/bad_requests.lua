-- For wrk: bad requests of every kind in turn, COUNT of them, then the end. Some of them cost their connection.
local count = tonumber(os.getenv("COUNT")) or 1000
local answered, refused, at = 0, 0, 0

local function post(path, body, lines)
    return "POST " .. path .. " HTTP/1.1\r\nHost: x\r\n" .. (lines or ("Content-Length: " .. #body .. "\r\n")) .. "\r\n" .. body
end

local function get(target, lines)
    return "GET " .. target .. " HTTP/1.1\r\nHost: x\r\n" .. (lines or "") .. "\r\n"
end

local click, batch = "/api/v1/ads/click", "/api/v1/events"
local typed = "Content-Type: application/xml\r\nContent-Length: 18\r\n"
local requests = {
    post(click, '{"ad_id":"ad-0'),
    post(click, '{"ad_id":"ad-001","ad_id":"ad-001"}'),
    post(click, '{"ad_id":"ad-001","x":[[[[[[[[[[[[1]]]]]]]]]]]]}'),
    post(click, '{"ad_id":"ad-001","note":"\192\175"}'),
    post(click, '{"ad_id":"no-such-ad"}'),
    post(click, '{"ad_id":"a/b","timestamp":"never","ip":"999.1.1.1","playback_time":-1,"event_id":"x"}'),
    post(click, '{"ad_id":"ad-001","adId":"ad-002","eventId":7}'),
    post(click, '{"ad_id":"ad-001"}', typed),
    post(click, '{"ad_id":"ad-001","note":"' .. string.rep("x", 5000) .. '"}'),
    post(click, "12\r\n{\"ad_id\":\"no-such\"}\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n"),
    post(batch, '[{"type":"start"},{"type":"none","ad_id":"ad-001"},7,null,[]]'),
    post(batch, '{"type":"start"}\nnot one\n{}\n', "Content-Type: application/x-ndjson\r\nContent-Length: 28\r\n"),
    post(batch, "[" .. string.rep('{"ad_id":1},', 300) .. "{}]"),
    get("/nothing/at/all"),
    get("/api/v1/ads/no-such-ad"),
    get("/api/v1/ads/analytics?minutes=1e3&timeframe=1y&timezone=../etc"),
    get("/api/v1/ads/analytics?ad_id=%zz"),
    get("/api/v1/dlq", "Authorization: Bearer nobodys\r\nX-Request-Id: <b>\r\n"),
    get("/health/live", "Content-Length: x\r\n"),
    "DELETE /api/v1/ads/click HTTP/1.1\r\nHost: x\r\n\r\n",
    "BREW /health HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n",
    "no request at all\r\n\r\n",
    get("/health/live", "X: " .. string.rep("y", 3000) .. "\r\n" .. string.rep("X: y\r\n", 110)),
    post(click, "zz\r\n", "Transfer-Encoding: chunked\r\n"),
}

function request()
    at = at % #requests + 1
    return requests[at]
end

-- wrk itself would sleep until its duration is over: there is one thread, and the program ends with it.
function response(status)
    answered = answered + 1
    if status >= 400 then
        refused = refused + 1
    end
    if answered == count then
        io.write(string.format("answered %d refused %d\n", answered, refused))
        io.flush()
        os.exit(0)
    end
end
