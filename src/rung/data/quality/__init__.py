"""How good a data set is: labels, answers, variety, amount, and the rows to look at first. Vectors are passed in."""
