"""Train ParaCLAP: the program is `paraclap.training`, `python train_accelerate.py --help` describes it."""

from paraclap.training.train import main

if __name__ == "__main__":
    main()
