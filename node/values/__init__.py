"""The data types behind the commands."""
