-- What wrk sends: `wrk … -s load.lua URL -- SHAPE USERS`. The shapes are those of loads.py.
-- Prints one JSON object at the end. wrk counts what is not 2xx or 3xx by itself (errors.status).

local PIPELINED, LENGTHS = 16, 256
local requests, number, shape = {}, 0, "same"
local before, after

local function event(user)
  return '{"user":"' .. user .. '","action":"buy","amount":100}'
end

local function message(body, extra)
  return "POST / HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port
    .. "\r\nContent-Type: application/json\r\nContent-Length: " .. #body
    .. "\r\n" .. (extra or "") .. "\r\n" .. body
end

function init(arguments)
  shape = arguments[1] or "same"
  local users = tonumber(arguments[2] or "1")
  if shape == "varying" then
    for length = 1, LENGTHS do requests[length] = message(event(string.rep("u", length))) end
  elseif shape == "pipelined" then
    requests[1] = string.rep(message(event("alice")), PIPELINED)
  elseif shape == "close" then
    requests[1] = message(event("alice"), "Connection: close\r\n")
  elseif shape == "unique" then
    local whole = message(event("alice"), "X-Request-Id: @\r\n")
    before, after = whole:match("^(.*)@(.*)$")
  elseif users > 1 then
    for user = 1, users do requests[user] = message(event("user" .. user - 1)) end
  else
    requests[1] = message(event("alice"))
  end
end

function request()
  number = number + 1
  if shape == "unique" then return before .. number .. after end
  return requests[(number - 1) % #requests + 1]
end

function done(summary, latency, _)
  local failed = summary.errors
  -- wrk corrects latencies for what a slow reply held up, by an interval that takes every reply of a
  -- batch for a sample of its own; of pipelined requests nothing sensible is left.
  local percentile = function(share)
    return shape == "pipelined" and 0 or latency:percentile(share) / 1e3
  end
  print(string.format(
    '{"replies": %d, "refused": %d, "errors": %d, "duration_s": %.6f, "p50_ms": %.4f, "p99_ms": %.4f}',
    summary.requests, failed.status,
    failed.connect + failed.read + failed.write + failed.timeout,
    summary.duration / 1e6, percentile(50), percentile(99)))
end
