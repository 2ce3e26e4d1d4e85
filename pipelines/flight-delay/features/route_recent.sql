-- Months land at intervals of 28 to 31 days: 75 days (below in microseconds) reach back over exactly three landings,
-- this one included. RANGE takes all rows of a landing together, whatever their order. The share is drawn towards 20 %
-- by 50 flights, so that a route with three flights does not speak as loud as one with three hundred.
SELECT
    carrier,
    origin,
    dest,
    arrived_at AS event_time,
    recorded_at AS created_time,
    (sum(arr_delayed) OVER landed + 10.0) / (count(*) OVER landed + 50.0) AS late_share
FROM flights
WHERE arrived_at IS NOT NULL
WINDOW landed AS (
    PARTITION BY carrier, origin, dest
    ORDER BY epoch_us(recorded_at) RANGE BETWEEN 6480000000000 PRECEDING AND CURRENT ROW
)
QUALIFY row_number() OVER (PARTITION BY carrier, origin, dest, recorded_at ORDER BY arrived_at DESC, flight) = 1
