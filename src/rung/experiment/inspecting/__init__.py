"""`rung data check`: opens rows, documents and an encoder, and has every measure of data quality taken on them."""
