"""DICOM's message exchange in layers of our own: PDUs, the upper layer, negotiation, messages, associations.

`pdu`, `upper_layer`, `negotiation` and `messages` do no input or output; `association` runs them over a socket, and
`server` runs associations. Datasets are bytes here: what they mean is for the floors above.
"""
