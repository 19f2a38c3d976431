"""Train ParaCLAP: `python -m paraclap.training`."""

from paraclap.training.train import main

if __name__ == "__main__":
    main()
