//! From the inventory to http.conf and server.conf, from traffic to the tree of files, and back from what a balancer reports.
