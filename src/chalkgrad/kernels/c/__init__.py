"""Loops → C: one compiled function per recurrent loop and direction, every step inside."""
