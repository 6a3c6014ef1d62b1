"""The database that samconfig.toml names, as the emulator is told to have it."""

ORGANIZATION = "my-organization"
DATABASE = "bookings_api"

# Only the emulator takes it.
TOKEN = {"id": "emulatortokn", "token": "pscale_tkn_only_for_the_emulator"}

HOTELS = """
CREATE TABLE hotels (
  id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT,
  name VARCHAR(50) NOT NULL,
  address VARCHAR(50) NOT NULL,
  stars FLOAT(2) UNSIGNED
)
"""
