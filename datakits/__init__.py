"""The bundled datakits: two real data sets, each as it arrives (Bronze) and as it is meant to be used (Silver)."""
