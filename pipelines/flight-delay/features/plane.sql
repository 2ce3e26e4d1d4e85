SELECT
    tailnum,
    listed_at AS event_time,
    listed_at AS created_time,
    year_built,
    seats
FROM planes
