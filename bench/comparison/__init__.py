"""What bench/compare is made of: processes and their servers, clients, rows, the table."""
