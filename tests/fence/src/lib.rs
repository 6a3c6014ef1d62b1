//! What the functions that change something do at the environment's lock; all of it is in the tests.
