"""The demo: the whole loop on two years of real hotel bookings, from one command."""
