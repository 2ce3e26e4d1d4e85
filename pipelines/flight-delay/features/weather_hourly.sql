SELECT
    origin,
    recorded_at AS time_hour,
    recorded_at AS event_time,
    recorded_at AS created_time,
    temp,
    dewp,
    humid,
    wind_dir::DOUBLE AS wind_dir,
    wind_speed,
    precip,
    pressure,
    visib
FROM weather
