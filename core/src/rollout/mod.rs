//! The rollout machine: stages, steps, plans, events, and the state that replaying them gives.
