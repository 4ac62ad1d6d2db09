//! Real sshd, nginx and demo applications on loopback.
