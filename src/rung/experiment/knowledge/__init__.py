"""What the documents can give: how far retrieval and reading reach, and the health of the documents."""
