"""The formats that training and test data come in: one file here for each family, all of them read into records and written from them."""
