-- The window is that of route_recent. Delays count from 0 to 180 minutes, so that one night does not make a season.
SELECT
    carrier,
    flight,
    arrived_at AS event_time,
    recorded_at AS created_time,
    (sum(arr_delayed) OVER landed + 10.0) / (count(*) OVER landed + 50.0) AS late_share,
    avg(least(greatest(arr_delay, 0), 180)) OVER landed AS mean_delay
FROM flights
WHERE arrived_at IS NOT NULL
WINDOW landed AS (
    PARTITION BY carrier, flight
    ORDER BY epoch_us(recorded_at) RANGE BETWEEN 6480000000000 PRECEDING AND CURRENT ROW
)
QUALIFY row_number() OVER (PARTITION BY carrier, flight, recorded_at ORDER BY arrived_at DESC, origin) = 1
