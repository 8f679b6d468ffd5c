#!/bin/sh
# Run once by the Postgres image, when its volume is empty: Dagster's history has its own database.
set -eu
createdb --username "$POSTGRES_USER" dagster
