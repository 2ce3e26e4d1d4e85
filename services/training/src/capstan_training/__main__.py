"""`python -m capstan_training serve | worker | migrate`."""

from capstan_servicekit.http.serve import main
from capstan_training.app import build
from capstan_training.settings import Settings

if __name__ == "__main__":
    main(Settings, build)
