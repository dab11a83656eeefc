// Runs before anything is drawn, so that the page does not flash in the wrong colours.
const theme = localStorage.getItem('statera-theme');
document.documentElement.dataset.theme = ['light', 'dark'].includes(theme) ? theme : 'auto';
