"""Fields, labels, icons and the theme: Qt only, nothing of the app's own."""
