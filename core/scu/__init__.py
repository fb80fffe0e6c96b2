"""The department as a user of other nodes: echo, query, retrieve, store, report steps, ask for commitment."""
