"""Cities that trucks drive between. Positions: GeoNames (geonames.org, CC BY 4.0), rounded to 0.01 degree."""

from typing import NamedTuple


class City(NamedTuple):
    """A name, its country (ISO 3166-1), and the centre in degrees WGS 84."""

    name: str
    country: str
    latitude_deg: float
    longitude_deg: float


_ROWS = (
    ("Lisbon", "PT", 38.73, -9.15),
    ("Porto", "PT", 41.15, -8.61),
    ("Madrid", "ES", 40.42, -3.70),
    ("Barcelona", "ES", 41.39, 2.16),
    ("Valencia", "ES", 39.47, -0.38),
    ("Sevilla", "ES", 37.38, -5.97),
    ("Zaragoza", "ES", 41.66, -0.88),
    ("Bordeaux", "FR", 44.84, -0.58),
    ("Toulouse", "FR", 43.60, 1.44),
    ("Lyon", "FR", 45.75, 4.85),
    ("Marseille", "FR", 43.30, 5.38),
    ("Paris", "FR", 48.85, 2.35),
    ("Lille", "FR", 50.63, 3.06),
    ("Strasbourg", "FR", 48.58, 7.75),
    ("Brussels", "BE", 50.85, 4.35),
    ("Rotterdam", "NL", 51.92, 4.48),
    ("Köln", "DE", 50.93, 6.95),
    ("Hamburg", "DE", 53.55, 9.99),
    ("Berlin", "DE", 52.52, 13.41),
    ("Frankfurt am Main", "DE", 50.12, 8.68),
    ("Munich", "DE", 48.14, 11.58),
    ("Leipzig", "DE", 51.34, 12.37),
    ("Zürich", "CH", 47.37, 8.55),
    ("Milan", "IT", 45.46, 9.19),
    ("Turin", "IT", 45.07, 7.69),
    ("Bologna", "IT", 44.49, 11.34),
    ("Rome", "IT", 41.89, 12.51),
    ("Naples", "IT", 40.85, 14.27),
    ("Vienna", "AT", 48.21, 16.37),
    ("Prague", "CZ", 50.09, 14.42),
    ("Warsaw", "PL", 52.23, 21.01),
    ("Poznań", "PL", 52.41, 16.93),
    ("Kraków", "PL", 50.06, 19.94),
    ("Budapest", "HU", 47.50, 19.04),
    ("Bratislava", "SK", 48.15, 17.11),
    ("Zagreb", "HR", 45.81, 15.98),
    ("Ljubljana", "SI", 46.05, 14.51),
    ("Belgrade", "RS", 44.80, 20.47),
    ("Bucharest", "RO", 44.43, 26.11),
    ("Sofia", "BG", 42.70, 23.32),
    ("Thessaloníki", "GR", 40.64, 22.93),
    ("Athens", "GR", 37.98, 23.73),
    ("Vilnius", "LT", 54.69, 25.28),
    ("Riga", "LV", 56.95, 24.11),
    ("Tallinn", "EE", 59.44, 24.75),
    ("Copenhagen", "DK", 55.68, 12.57),
    ("Malmö", "SE", 55.61, 13.00),
    ("Göteborg", "SE", 57.71, 11.97),
    ("Stockholm", "SE", 59.33, 18.07),
    ("Oslo", "NO", 59.91, 10.75),
    ("Trondheim", "NO", 63.43, 10.40),
    ("London", "GB", 51.51, -0.13),
    ("Birmingham", "GB", 52.48, -1.90),
    ("Manchester", "GB", 53.48, -2.24),
    ("Glasgow", "GB", 55.87, -4.26),
    ("Chicago", "US", 41.85, -87.65),
    ("St. Louis", "US", 38.63, -90.20),
    ("Indianapolis", "US", 39.77, -86.16),
    ("Nashville", "US", 36.17, -86.78),
    ("Atlanta", "US", 33.75, -84.39),
    ("Dallas", "US", 32.78, -96.81),
    ("Denver", "US", 39.74, -104.98),
    ("Kansas City", "US", 39.10, -94.58),
    ("Singapore", "SG", 1.29, 103.85),
    ("Kuala Lumpur", "MY", 3.14, 101.69),
    ("Bangkok", "TH", 13.75, 100.50),
    ("Johannesburg", "ZA", -26.20, 28.04),
    ("Durban", "ZA", -29.86, 31.03),
    ("Bloemfontein", "ZA", -29.12, 26.21),
    ("Sydney", "AU", -33.87, 151.21),
    ("Melbourne", "AU", -37.81, 144.96),
    ("Canberra", "AU", -35.28, 149.13),
    ("São Paulo", "BR", -23.55, -46.64),
    ("Curitiba", "BR", -25.43, -49.27),
    ("Rio de Janeiro", "BR", -22.91, -43.18),
    ("Belo Horizonte", "BR", -19.92, -43.94),
)

CITIES = tuple(City(*row) for row in _ROWS)
