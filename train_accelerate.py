"""Train ParaCLAP: `accelerate launch train_accelerate.py …`; the program is `paraclap.training`."""

from paraclap.training.train import main

if __name__ == "__main__":
    main()
