"""BAM: relative feature importance between models and between inputs (Yang & Kim 2019)."""
