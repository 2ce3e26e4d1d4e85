"""`python -m capstan_monitoring serve | worker | migrate`."""

from capstan_monitoring.app import build
from capstan_monitoring.settings import Settings
from capstan_servicekit.http.serve import main

if __name__ == "__main__":
    main(Settings, build)
