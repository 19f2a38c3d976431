"""ParaCLAP's training, evaluation and publishing, and the `paraclap` command."""
