"""The proof of the checker: faulty services in real runs, each of which has to be found."""
