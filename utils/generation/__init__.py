"""Rows from the contract of a class: realistic, deterministic, obeying lengths, scales, keys and checks."""

from __future__ import annotations

from sqlmodel_framework.utils.generation.rows import RowPlan, error_for, generate_rows, plan_rows

__all__ = ["RowPlan", "error_for", "generate_rows", "plan_rows"]
