"""The world: SimPy environment, fleet, emission of events, digest."""
