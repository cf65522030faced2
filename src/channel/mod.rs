//! Packets over a socket, and the loop that runs a handshake machine over them.
